package gradescope

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/result"
)

// maxMetadata bounds submission_metadata.json, which repeats the results of the last submission.
const maxMetadata = 32 << 20

// Metadata is what Gradescope says about a submission, as far as labctl has use for it.
type Metadata struct {
	ID      string    // of the submission
	Created time.Time // UTC; zero where nobody says
	Users   []User    // several where a group hands in
}

// User is who handed in.
type User struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Metadata reads what Gradescope says about the submission. No grade depends on it: what is missing
// or not as documented is left out, and the error says what that was.
func (r Root) Metadata() (Metadata, error) { return readMetadata(r.metadataFile()) }

func readMetadata(name string) (Metadata, error) {
	var m Metadata
	data, err := home.Read(name, maxMetadata)
	if err != nil {
		return m, fmt.Errorf("read the submission's metadata: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return m, fmt.Errorf("read the submission's metadata: %w", err)
	}
	var odd []string
	var number json.Number
	if json.Unmarshal(fields["id"], &number) == nil {
		m.ID = number.String()
	} else {
		odd = append(odd, "id")
	}
	if json.Unmarshal(fields["created_at"], &m.Created) != nil {
		odd = append(odd, "created_at")
	}
	m.Created = m.Created.UTC()
	var users []json.RawMessage
	if json.Unmarshal(fields["users"], &users) != nil || len(users) == 0 {
		odd = append(odd, "users")
	}
	for _, raw := range users {
		var u User
		if json.Unmarshal(raw, &u) == nil && u != (User{}) {
			m.Users = append(m.Users, u)
		}
	}
	if len(odd) > 0 {
		return m, fmt.Errorf("the submission's metadata has no %s as Gradescope documents it", strings.Join(odd, ", "))
	}
	return m, nil
}

// Names are those of all who handed in together, or "".
func (m Metadata) Names() string {
	var names []string
	for _, u := range m.Users {
		name := u.Name
		if strings.TrimSpace(name) == "" {
			name = u.Email
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Apply says in the report whose it is.
func (m Metadata) Apply(r *result.Report) {
	r.Student, r.Person, r.Submitted = "submission "+m.ID, nil, nil
	if len(m.Users) > 0 {
		r.Person = &result.Person{Name: m.Names(), Email: m.Users[0].Email}
	}
	if !m.Created.IsZero() {
		at := m.Created
		r.Submitted = &at
	}
}
