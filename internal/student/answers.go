package student

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"labctl.dev/labctl/internal/fault"
)

// AnswersName is the file in a working folder that holds the answers to a lab's questions.
const AnswersName = "answers.yaml"

// answersHead is what a new file begins with.
const answersHead = "# Your answers, by question: see labctl answer. Change them there or here.\n"

// SetAnswer writes one answer into the folder's file of answers, which it makes where there
// is none. Other answers and comments stay.
func (f *Folder) SetAnswer(question string, texts []string) error {
	name := f.answersFile()
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		data, err = []byte(answersHead), nil
	}
	if err != nil {
		return fault.Inputf("read your answers: %w", err)
	}
	data, err = setAnswer(data, question, texts)
	if err != nil {
		return fault.Inputf("change %s: %w", filepath.Base(name), err).WithRemedy("correct %s; nothing was changed", name)
	}
	if err := place(name, data); err != nil {
		return fault.Inputf("write your answers: %w", err)
	}
	return nil
}

// answersFile is the file that there is, under either of its names.
func (f *Folder) answersFile() string {
	other := f.path("answers.yml")
	if _, err := os.Stat(other); err == nil {
		return other
	}
	return f.path(AnswersName)
}

// setAnswer changes one entry of a YAML mapping.
func setAnswer(data []byte, question string, texts []string) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("it is not YAML: %w", err)
	}
	value := answerNode(texts)
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		// Only comments: they are kept as text, since the parser hangs them on nothing.
		entry, err := encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{textNode(question), value}})
		if err != nil {
			return nil, err
		}
		return append(withNewline(data), entry...), nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, errors.New(`it is not a list of lines such as "question: answer"`)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != question {
			continue
		}
		old := root.Content[i+1]
		value.HeadComment, value.LineComment, value.FootComment = old.HeadComment, old.LineComment, old.FootComment
		root.Content[i+1] = value
		return encode(&document)
	}
	root.Content = append(root.Content, textNode(question), value)
	return encode(&document)
}

func withNewline(data []byte) []byte {
	if len(data) > 0 && !bytes.HasSuffix(data, []byte("\n")) {
		data = append(data, '\n')
	}
	return data
}

func answerNode(texts []string) *yaml.Node {
	if len(texts) == 1 {
		return textNode(texts[0])
	}
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, t := range texts {
		list.Content = append(list.Content, textNode(t))
	}
	return list
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}

func encode(n *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(n), e.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
