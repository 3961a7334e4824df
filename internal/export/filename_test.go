package export

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
)

func TestFileName(t *testing.T) {
	for student, want := range map[string]string{
		"anna":                      "anna",
		"s1234567":                  "s1234567",
		"anna.b+lab@example.org":    "anna.b+lab@example.org",
		"_x":                        "_x",
		"Anna":                      "Anna-#",
		"ANNA":                      "ANNA-#",
		"":                          "student-#",
		".":                         "student-#",
		"..":                        "student-#",
		"../../etc/passwd":          "etc-passwd-#",
		`..\..\windows\system.ini`:  "windows-system.ini-#",
		"con":                       "student-con-#",
		"CON":                       "student-CON-#",
		"nul.txt":                   "student-nul.txt-#",
		"com1":                      "student-com1-#",
		"contra":                    "contra",
		"-rf":                       "rf-#",
		".hidden":                   "hidden-#",
		"trailing.":                 "trailing-#",
		"trailing ":                 "trailing-#",
		"Jörg Müller":               "Jorg-Muller-#",
		"王伟":                        "王伟-#",
		"a\u202egpj.exe":            "a-gpj.exe-#",
		"a\x1b[31mb":                "a-31mb-#",
		"a\x00b":                    "a-b-#",
		"a:b*c?d\"e<f>g|h":          "a-b-c-d-e-f-g-h-#",
		"\U0001f600":                "student-#",
		"\xff\xfe":                  "student-#",
		"anna-0123456789abcdef":     "anna-0123456789abcdef-#", // or it could be made to be another's
		strings.Repeat("a", 80):     strings.Repeat("a", 80),
		strings.Repeat("a", 10_000): strings.Repeat("a", 80) + "-#",
	} {
		pattern := "^" + strings.Replace(regexp.QuoteMeta(want), "#", "[0-9a-f]{16}", 1) + "$"
		got := FileName(student)
		if !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("%.40q is %q, want %q", student, got, want)
		}
		if again := FileName(got); got != student && again == got {
			t.Errorf("a student who is called %q would have the file of %.40q", got, student)
		}
	}
}

func TestFileNamesAreDifferent(t *testing.T) {
	seen := map[string]string{}
	for _, student := range []string{
		"anna", "Anna", "ANNA", "anna ", " anna", "anna.", "an-na", "an na", "an/na", "an\\na", "än-na", "a\u0308n-na",
		FileName("Anna"), strings.ToLower(FileName("Anna")), "ﬁ", "fi", "ſ", "s", "K", "k", "\u212a", "ß", "ss",
		strings.Repeat("x", 200), strings.Repeat("x", 201),
	} {
		name := strings.ToLower(FileName(student))
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q have the file %q", student, other, name)
		}
		seen[name] = student
	}
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"anna", "../x", "CON", "\xff", "é.", "a\u202eb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, student string) {
		name := FileName(student)
		bad := func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._@+-", r)
		}
		if name == "" || len(name) > maxStem+30 || strings.ContainsFunc(name, bad) || reserved(name) || strings.Trim(name, ".-") != name && !plain(student) {
			t.Errorf("%q is %q", student, name)
		}
	})
}
