package home

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// TooLarge says that a file is larger than it may be.
type TooLarge struct {
	Name string
	Most int64 // bytes
}

func (e *TooLarge) Error() string { return fmt.Sprintf("%s is larger than %d bytes", e.Name, e.Most) }

// Read reads a file of somebody else's, and no more of it than most bytes, whatever size it
// claims. A *TooLarge says that there is more.
func Read(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, &TooLarge{name, most}
	}
	return data, nil
}
