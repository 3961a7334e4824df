package images

import (
	"errors"
	"slices"
)

// Missing returns the names of the fixture images that Assemble would have to make. It
// makes nothing.
func (s *Store) Missing() ([]string, error) {
	var missing []string
	for _, r := range recipes() {
		j := job{recipe: r}
		err := s.prepare(&j, s.ready)
		if err != nil && !errors.Is(err, errNotBuilt) {
			return nil, err
		}
		if made, ok := s.getRecord(short(r.Ref)); err != nil || !ok || made.Inputs != j.inputs {
			missing = append(missing, r.Ref)
		}
	}
	return slices.Clip(missing), nil
}
