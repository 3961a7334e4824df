package home_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"labctl.dev/labctl/internal/home"
)

func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	if _, err := home.Read(name, 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := home.Read(name, 4); err != nil || string(data) != "text" {
		t.Errorf("%q, %v", data, err)
	}
	var large *home.TooLarge
	if _, err := home.Read(name, 3); !errors.As(err, &large) || err.Error() != name+" is larger than 3 bytes" {
		t.Errorf("%v", err)
	}
}
