package class

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"labctl.dev/labctl/internal/submission"
)

// parser reads the names that learning platforms give to what they let download.
type parser struct {
	canvas, canvasText, moodle, copied *regexp.Regexp
}

func newParser() parser {
	return parser{
		// As Canvas' content_zipper.rb writes it: the name without anything but letters and
		// digits, LATE, the number of the user, the number of the file (not of the submission),
		// and the file's own name. Without a name where grading is anonymous.
		canvas:     regexp.MustCompile(`(?is)^(?:(.+?)_)?(?:(late)_)?(\d{1,20})_(\d{1,20})_(.+)$`),
		canvasText: regexp.MustCompile(`(?is)^(?:(.+?)_)?(?:(late)_)?(\d{1,20})_(text|link)\.html$`),
		// As Moodle's mod/assign/classes/downloader.php writes it: name, number of the
		// participant or the group (the default group has none), and the plugin. What follows is
		// the file's own name where everything is in one folder.
		moodle: regexp.MustCompile(`(?is)^(.*?)(?:_(\d{1,20}))?_assignsubmission_([a-z0-9]+)(?:_(.*))?$`),
		// Canvas calls a file "lab-1.zip" that is handed in again as lab.zip.
		copied: regexp.MustCompile(`(?is)^(.*?)(?:-(\d{1,4}))?((?:\.tar)?\.[^.]*)?$`),
	}
}

// parsed is what a platform's name says.
type parsed struct {
	name     string // of the student; Canvas squashes it
	number   string // the platform's, of the student
	late     bool
	file     string // Canvas' number of the file, which grows with time
	kind     string // "file", or what it is instead
	original string // the file's own name; "" where there is none
}

func (p parser) parse(layout Layout, name string) (parsed, bool) {
	switch layout {
	case Canvas:
		return p.parseCanvas(name)
	case Moodle:
		return p.parseMoodle(name)
	default:
		return parsed{}, false
	}
}

func (p parser) parseCanvas(name string) (parsed, bool) {
	var q parsed
	if m := p.canvas.FindStringSubmatch(name); m != nil {
		q = parsed{name: m[1], late: m[2] != "", number: m[3], file: m[4], kind: "file", original: m[5]}
	} else if m := p.canvasText.FindStringSubmatch(name); m != nil {
		q = parsed{name: m[1], late: m[2] != "", number: m[3], kind: strings.ToLower(m[4])}
	} else {
		return parsed{}, false
	}
	if strings.EqualFold(q.name, "late") && !q.late { // of somebody anonymous
		q.name, q.late = "", true
	}
	return q, true
}

func (p parser) parseMoodle(name string) (parsed, bool) {
	m := p.moodle.FindStringSubmatch(name)
	if m == nil || m[1] == "" && m[2] == "" {
		return parsed{}, false
	}
	return parsed{name: m[1], number: m[2], kind: strings.ToLower(m[3]), original: m[4]}, true
}

// layout finds out which platform named most of the entries.
func (p parser) layout(names []string) Layout {
	if isExport(names) {
		return Gradescope
	}
	count := map[Layout]int{}
	for _, name := range names {
		for _, l := range []Layout{Moodle, Canvas} {
			if _, ok := p.parse(l, name); ok {
				count[l]++
				break
			}
		}
	}
	for _, l := range []Layout{Moodle, Canvas} {
		if count[l] > 0 && 2*count[l] >= len(names) {
			return l
		}
	}
	return Folders
}

// reupload takes off the number that Canvas gives to a file that is handed in again.
func (p parser) reupload(original string) (name string, again int) {
	m := p.copied.FindStringSubmatch(original)
	if m == nil || m[1] == "" || m[2] == "" {
		return original, 0
	}
	again, _ = strconv.Atoi(m[2]) // digits, says the expression
	return m[1] + m[3], again
}

// archiveKind returns the suffix, as it is written, that says what archive a file is, or "".
func archiveKind(name string) string {
	kind := submission.ArchiveKind(name)
	if len(name) <= len(kind) {
		return "" // a name of nothing else
	}
	return name[len(name)-len(kind):]
}

// clean makes an ID of a name: NFC, and without what nobody sees, which would let two names
// look alike or turn the text around it.
func clean(name string) string {
	name = norm.NFC.String(strings.ToValidUTF8(name, "_"))
	name = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), r == '/', r == '\\':
			return '_'
		default:
			return r
		}
	}, name)
	return strings.Join(strings.Fields(name), " ")
}

// words are the words of a name, without case and accents, in their order.
func words(name string) []string {
	plain := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(strings.ToValidUTF8(name, " ")))
	// What no decomposition knows, as it is mostly written where it is missing.
	plain = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i",
		"'", "", "’", "", "`", "").Replace(plain)
	return strings.FieldsFunc(plain, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// squashed is a name without anything but letters and digits, as Canvas writes it.
func squashed(name string) string { return strings.Join(words(name), "") }

// lessNumber compares numbers of any length as numbers.
func lessNumber(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
