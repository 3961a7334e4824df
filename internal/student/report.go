package student

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"labctl.dev/labctl/internal/result"
)

// SaveReport keeps the last local report of a lab, from which hints and explanations come.
func (s *Store) SaveReport(lab string, r result.Report) error {
	path, err := s.reportPath(lab)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report of lab %s: %w", lab, err)
	}
	if err := writeFile(path, append(data, '\n')); err != nil {
		return fmt.Errorf("keep the report of lab %s: %w", lab, err)
	}
	return nil
}

// LoadReport returns the last local report of a lab, and false where there is none. One that
// cannot be read counts for none: the next check makes another.
func (s *Store) LoadReport(lab string) (result.Report, bool, error) {
	path, err := s.reportPath(lab)
	if err != nil {
		return result.Report{}, false, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return result.Report{}, false, nil
	}
	if err != nil {
		return result.Report{}, false, fmt.Errorf("read the report of lab %s: %w", lab, err)
	}
	var r result.Report
	if json.Unmarshal(data, &r) != nil || r.Schema != result.Schema {
		return result.Report{}, false, nil
	}
	return r, true, nil
}

// ForgetReport removes the last local report of a lab.
func (s *Store) ForgetReport(lab string) error {
	path, err := s.reportPath(lab)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the report of lab %s: %w", lab, err)
	}
	return nil
}

func (s *Store) reportPath(lab string) (string, error) {
	if lab == "" || lab != filepath.Base(lab) || lab == "." || lab == ".." {
		return "", fmt.Errorf("%q is not the id of a lab", lab)
	}
	return filepath.Join(s.dir, "reports", lab+".json"), nil
}
