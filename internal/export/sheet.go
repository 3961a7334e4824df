package export

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"labctl.dev/labctl/internal/fault"
)

// maxSheet bounds a file that is filled in, in bytes.
const maxSheet = 32 << 20

// sheet is a CSV file that is filled in: whatever is not set stays as it is, to the byte.
type sheet struct {
	name  string
	data  []byte
	comma byte
	rows  []row // the first is the header
	fills []fill
}

type row struct {
	line  int
	cells []field
}

// field is a cell: where it stands in the file, with its quotes, and what is in it.
type field struct {
	start, end int
	text       string
}

type fill struct {
	start, end int
	text       []byte
}

// readSheet reads a file by RFC 4180, whatever separates its cells. A fault.Input says where it
// is no CSV.
func readSheet(f *File) (*sheet, error) {
	s := &sheet{name: f.Name, data: f.Data}
	switch {
	case len(f.Data) > maxSheet:
		return nil, fault.Inputf("%s is larger than %d bytes", f.Name, maxSheet).WithRemedy("name the file that was downloaded")
	case bytes.HasPrefix(f.Data, []byte("PK\x03\x04")):
		return nil, fault.Inputf("%s is a spreadsheet or an archive, not a CSV file", f.Name).WithRemedy("download it as CSV")
	case bytes.HasPrefix(f.Data, []byte("\xff\xfe")), bytes.HasPrefix(f.Data, []byte("\xfe\xff")):
		return nil, fault.Inputf("%s is UTF-16, not UTF-8", f.Name).WithRemedy("download it again, and do not save it with a spreadsheet")
	case !utf8.Valid(f.Data) || bytes.IndexByte(f.Data, 0) >= 0:
		return nil, fault.Inputf("%s is not UTF-8", f.Name).WithRemedy("download it again, and do not save it with a spreadsheet")
	}
	at := 0
	if bytes.HasPrefix(f.Data, []byte("\xef\xbb\xbf")) {
		at = 3
	}
	s.comma = separator(f.Data[at:])
	for line := 1; at < len(f.Data); {
		r := row{line: line}
		next, err := s.readRow(&r, at)
		if err != nil {
			return nil, err
		}
		line += bytes.Count(f.Data[at:next], []byte("\n"))
		at = next
		if len(r.cells) > 1 || r.cells[0].start < r.cells[0].end {
			s.rows = append(s.rows, r)
		}
	}
	if len(s.rows) == 0 {
		return nil, fault.Inputf("%s is empty", f.Name).WithRemedy("name the file that was downloaded")
	}
	return s, nil
}

// separator is what separates the cells of the first line: a spreadsheet may have changed it.
func separator(data []byte) byte {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	best, most := byte(','), bytes.Count(first, []byte(","))
	for _, c := range []byte{';', '\t'} {
		if n := bytes.Count(first, []byte{c}); n > most {
			best, most = c, n
		}
	}
	return best
}

// readRow reads the cells of one row, and returns where the next begins.
func (s *sheet) readRow(r *row, at int) (next int, err error) {
	for {
		c, err := s.readCell(r.line, at)
		if err != nil {
			return 0, err
		}
		r.cells = append(r.cells, c)
		at = c.end
		switch {
		case at < len(s.data) && s.data[at] == s.comma:
			at++
		case bytes.HasPrefix(s.data[at:], []byte("\r\n")):
			return at + 2, nil
		case at < len(s.data): // a line's end
			return at + 1, nil
		default:
			return at, nil
		}
	}
}

func (s *sheet) readCell(line, at int) (field, error) {
	if at < len(s.data) && s.data[at] == '"' {
		return s.readQuoted(line, at)
	}
	end := at
	for end < len(s.data) && s.data[end] != s.comma && s.data[end] != '\n' {
		end++
	}
	if end > at && end < len(s.data) && s.data[end] == '\n' && s.data[end-1] == '\r' {
		end--
	}
	return field{at, end, string(s.data[at:end])}, nil
}

func (s *sheet) readQuoted(line, at int) (field, error) {
	var text []byte
	for i := at + 1; i < len(s.data); i++ {
		if s.data[i] != '"' {
			text = append(text, s.data[i])
			continue
		}
		if i+1 < len(s.data) && s.data[i+1] == '"' {
			text = append(text, '"')
			i++
			continue
		}
		rest := s.data[i+1:]
		if len(rest) > 0 && rest[0] != s.comma && rest[0] != '\n' && !bytes.HasPrefix(rest, []byte("\r\n")) {
			line += bytes.Count(s.data[at:i], []byte("\n"))
			return field{}, fault.Inputf("%s, line %d: is not CSV: something follows a cell's closing quote", s.name, line).
				WithRemedy(`a cell that has a quote in it is written "like ""this""; download the file again`)
		}
		return field{at, i + 1, string(text)}, nil
	}
	return field{}, fault.Inputf("%s, line %d: is not CSV: a quote is never closed", s.name, line).WithRemedy("download the file again")
}

// cell returns what is in a cell, without space around it, or "".
func (s *sheet) cell(row, column int) string {
	if column < 0 || column >= len(s.rows[row].cells) {
		return ""
	}
	return strings.TrimSpace(s.rows[row].cells[column].text)
}

// header returns the columns' labels.
func (s *sheet) header() []string {
	var labels []string
	for i := range s.rows[0].cells {
		labels = append(labels, s.cell(0, i))
	}
	return labels
}

// set puts text into a cell, in quotes where it was in quotes or needs them.
func (s *sheet) set(row, column int, text string) error {
	r := s.rows[row]
	if column >= len(r.cells) {
		return fault.Inputf("%s, line %d: has %d cells, and the header %d", s.name, r.line, len(r.cells), len(s.rows[0].cells)).
			WithRemedy("download the file again")
	}
	c := r.cells[column]
	quoted := c.start < c.end && s.data[c.start] == '"' || strings.ContainsAny(text, "\"\r\n"+string(rune(s.comma)))
	if quoted {
		text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
	}
	s.fills = append(s.fills, fill{c.start, c.end, []byte(text)})
	return nil
}

// bytes returns the file as it is filled in.
func (s *sheet) bytes() []byte {
	slices.SortFunc(s.fills, func(a, b fill) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, f := range s.fills {
		out = append(append(out, s.data[at:f.start]...), f.text...)
		at = f.end
	}
	return append(out, s.data[at:]...)
}
