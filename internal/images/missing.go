package images

import "slices"

// Missing returns the names of the fixture images that Assemble would have to make. It
// makes nothing.
func (s *Store) Missing() ([]string, error) {
	var missing []string
	for _, r := range recipes() {
		j := job{recipe: r}
		if err := s.prepare(&j); err != nil {
			return nil, err
		}
		if made, ok := s.getRecord(short(r.Ref)); !ok || made.Inputs != j.inputs {
			missing = append(missing, r.Ref)
		}
	}
	return slices.Clip(missing), nil
}
