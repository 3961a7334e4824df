package submission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/internal/home"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
)

// The bounds of answers, far above what any lab asks.
const (
	maxAnswersSize = 64 << 10 // of the file, in bytes
	maxAnswers     = 200      // questions that are answered
	maxAnswerItems = 50       // texts in one answer
	maxAnswerText  = 500      // runes of one text
)

// answersNames are the names of the file at the top of a submission that holds the answers
// to a lab's questions, and no objects.
func answersNames() []string { return []string{"answers.yaml", "answers.yml"} }

// ReadAnswers reads the answers in a working folder, by the id of their question. No file
// means no answers. Questions are the ids that there are; none accepts any. A file that is
// not as it should be is a fault.Input that wraps an *Error with every problem in it.
func ReadAnswers(dir string, questions []string) (map[string][]string, error) {
	r := newReader(dir, Limits{Questions: questions})
	for _, name := range answersNames() {
		data, err := home.Read(filepath.Join(dir, name), maxAnswersSize)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case errors.As(err, new(*home.TooLarge)):
			r.refuse(name, "is larger than %d bytes", maxAnswersSize)
		case err != nil:
			r.refuse(name, "cannot be read: %s", cause(err))
		default:
			r.tree.files[name] = data
		}
	}
	answers := r.answers()
	if err := r.refusal(); err != nil {
		return nil, err
	}
	return answers, nil
}

// answers reads the answers of the submission, and refuses what is wrong with them.
func (r *reader) answers() map[string][]string {
	var found []string
	for _, name := range answersNames() {
		if _, ok := r.tree.files[path.Join(r.tree.root, name)]; ok {
			found = append(found, path.Join(r.tree.root, name))
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
	default:
		r.refuse(r.tree.display(found[1]), "stands beside %s; keep one of the two", path.Base(found[0]))
		return nil
	}
	a := answerReader{reader: r, file: r.tree.display(found[0]), answers: map[string][]string{}}
	a.read(r.tree.files[found[0]])
	return a.answers
}

// hasAnswers tells whether the submission comes with a file of answers.
func (t *tree) hasAnswers() bool { return slices.ContainsFunc(t.names(), t.isAnswers) }

// isAnswers tells whether a file of the submission holds its answers.
func (t *tree) isAnswers(name string) bool {
	return slices.Contains(answersNames(), path.Base(name)) && path.Dir(name) == orDot(t.root)
}

// answerReader carries one file of answers.
type answerReader struct {
	*reader
	file    string
	answers map[string][]string
}

// wrong adds a finding about one answer, or about the file as a whole.
func (a *answerReader) wrong(field, format string, args ...any) {
	a.findings = append(a.findings, result.Finding{File: a.file, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (a *answerReader) read(data []byte) {
	if len(data) > maxAnswersSize {
		a.wrong("", "is larger than %d bytes", maxAnswersSize)
		return
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return // comments only: nothing is answered yet
	} else if err != nil {
		a.wrong("", "%s", notYAML(err, 0))
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		a.wrong("", "holds more than one YAML document; write all answers into one")
		return
	}
	root := document.Content[0]
	switch {
	case root.Tag == "!!null":
	case root.Kind != yaml.MappingNode:
		a.wrong("", "must be a list of lines such as \"question: answer\", not %s", kindOf(root))
	case len(root.Content)/2 > maxAnswers:
		a.wrong("", "answers more than %d questions", maxAnswers)
	default:
		a.entries(root)
	}
}

// entries reads every answer, and goes on after one that is wrong.
func (a *answerReader) entries(root *yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		id := key.Value
		line, twice := first[id]
		switch {
		case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
			a.wrong("", "line %d: is not the id of a question", key.Line)
		case twice:
			a.wrong(clip(id), "is answered twice, on lines %d and %d; keep one", line, key.Line)
		case len(a.limits.Questions) > 0 && !slices.Contains(a.limits.Questions, id):
			a.wrong(clip(id), "is no question of this lab%s", lab.Suggest(id, a.limits.Questions))
		default:
			if texts, ok := a.texts(id, value); ok && len(texts) > 0 {
				a.answers[id] = texts
			}
		}
		first[id] = key.Line
	}
}

// texts reads one answer: a text, or a list of texts. What is left empty is not answered.
func (a *answerReader) texts(id string, value *yaml.Node) ([]string, bool) {
	switch value.Kind {
	case yaml.ScalarNode:
		text, ok := a.text(id, value)
		if text == "" {
			return nil, ok
		}
		return []string{text}, ok
	case yaml.SequenceNode:
	default:
		a.wrong(clip(id), "must be a text or a list of texts, not %s", kindOf(value))
		return nil, false
	}
	if len(value.Content) > maxAnswerItems {
		a.wrong(clip(id), "has more than %d texts", maxAnswerItems)
		return nil, false
	}
	var texts []string
	good := true
	for i, item := range value.Content {
		field := fmt.Sprintf("%s[%d]", clip(id), i)
		if item.Kind != yaml.ScalarNode {
			a.wrong(field, "must be a text, not %s", kindOf(item))
			good = false
			continue
		}
		text, ok := a.text(field, item)
		good = good && ok
		if text != "" {
			texts = append(texts, text)
		}
	}
	return texts, good
}

// text reads a plain value as it is written: a bare yes or 30080 is meant as a text here.
func (a *answerReader) text(field string, value *yaml.Node) (string, bool) {
	text := strings.TrimSpace(value.Value)
	if value.Tag == "!!null" {
		return "", true
	}
	if utf8.RuneCountInString(text) > maxAnswerText {
		a.wrong(clip(field), "is longer than %d characters", maxAnswerText)
		return "", false
	}
	return text, true
}

// clip bounds what a message repeats of a key that the student chose.
func clip(id string) string {
	if r := []rune(id); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return id
}

// kindOf describes a node to the author of the file.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (*" + n.Value + ")"
	default:
		return strconv.Quote(clip(n.Value))
	}
}
