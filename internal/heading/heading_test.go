package heading

import "testing"

func TestOf(t *testing.T) {
	for label, want := range map[string]Meaning{
		"": None, "Section": None, "ID": ID, "Identifier": Participant, "SIS User ID": Number, "SIS Login ID": Username,
		"E-Mail-Adresse": Email, "Vollständiger Name": Name, "Prénom": First, "Apellido(s)": Last, "Student": Student,
		"Last modified (submission)": Submitted, "Note": Grade, "Feedback comments": Feedback, "Barème": Scale, "GITHUB_ID": OtherID,
	} {
		if got := Of(label); got != want {
			t.Errorf("%q means %d, not %d", label, got, want)
		}
	}
}
