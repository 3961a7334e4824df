package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/home"
)

// pairsFile is where a batch's output folder keeps the pairs that are alike.
const pairsFile = "similar.json"

// SavePairs writes the pairs to a batch's output folder, where Load finds them.
func (c *Class) SavePairs(dir string) error {
	pairs := c.Pairs
	if pairs == nil {
		pairs = []Pair{} // an empty list, so that an older one does not stay
	}
	data, err := json.MarshalIndent(pairs, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the pairs that are alike: %w", err)
	}
	name := filepath.Join(dir, pairsFile)
	if err := home.Replace(name, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// loadPairs reads the pairs; a folder without the file has none.
func loadPairs(dir string) ([]Pair, error) {
	name := filepath.Join(dir, pairsFile)
	data, err := home.Read(name, maxReport)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Inputf("read the pairs that are alike: %w", err).WithRemedy(batchRemedy)
	}
	var pairs []Pair
	if err := json.Unmarshal(data, &pairs); err != nil {
		return nil, fault.Inputf("%s lists no pairs: %w", name, err).WithRemedy("take it out of the folder, or run labctl batch again")
	}
	return pairs, nil
}
