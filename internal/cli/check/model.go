package check

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/result"
	"labctl.dev/labctl/internal/student"
)

// frameEvery is the pace of the sign that says that checks are under way.
const frameEvery = 120 * time.Millisecond

type tickMsg struct{}

// row is how one check stands on the screen.
type row struct {
	check   result.Check // its last verdict; without a status where there is none yet
	running bool
	passed  bool // at some time before
	hint    *student.Hint
}

// told is the hint that is on the screen.
func (r row) told() string {
	if r.hint != nil && r.hint.Text != "" {
		return r.hint.Text
	}
	return r.check.Hint
}

// regressed tells whether the check fails though it had passed.
func (r row) regressed() bool { return r.check.Status == result.Failed && r.passed }

// model is the screen of a watch.
type model struct {
	bench    *bench // only what does not change: the lab and the catalogue
	checks   []lab.Check
	withheld []string
	asks     chan<- ask

	width, height int
	rows          map[string]row
	step          string // the one that is shown
	all           bool
	news          []string // what the last round turned
	green         []string // the checks of these that pass now
	files         []string // written, and not applied yet
	trouble       string   // with answers
	frame         int
	ticking       bool
	ended         error
}

func newModel(b *bench, withheld []string, asks chan<- ask) model {
	m := model{bench: b, checks: b.checks, withheld: withheld, asks: asks, width: 80, height: 24, rows: map[string]row{}}
	for _, c := range b.lab.Visible() {
		r := row{check: result.Check{ID: c.ID, MaxPoints: c.Points}}
		if known := b.mine.Checks[c.ID]; known != nil {
			r.check.Status, r.passed = known.Status, !known.FirstPassed.IsZero()
			if known.Status == result.Passed {
				r.check.Points = c.Points
			}
		}
		m.rows[c.ID] = r
	}
	m.all = b.opts.Step == "" && len(b.lab.Steps) == 1
	m.step = m.current()
	return m
}

// current is the first step that is not complete, or the last one.
func (m model) current() string {
	for _, s := range m.bench.lab.Steps {
		if n, total := m.count(s.ID); n < total && slices.ContainsFunc(m.checks, func(c lab.Check) bool { return c.Step == s.ID }) {
			return s.ID
		}
	}
	if len(m.checks) == 0 {
		return ""
	}
	return m.checks[len(m.checks)-1].Step
}

// count returns how many of a step's checks pass, and how many there are.
func (m model) count(step string) (passed, total int) {
	for _, c := range m.bench.lab.StepChecks(step) {
		total++
		if m.rows[c.ID].check.Status == result.Passed {
			passed++
		}
	}
	return passed, total
}

func (m model) status() map[string]result.CheckStatus {
	all := map[string]result.CheckStatus{}
	for id, r := range m.rows {
		all[id] = r.check.Status
	}
	return all
}

// failing is the check whose evidence is shown: the first of those on the screen that fails.
func (m model) failing() (row, bool) {
	for _, c := range m.shown() {
		if r := m.rows[c.ID]; r.check.Status == result.Failed || r.check.Status == result.Error {
			return r, true
		}
	}
	return row{}, false
}

// shown are the checks on the screen.
func (m model) shown() []lab.Check {
	if !m.all {
		return m.bench.lab.StepChecks(m.step)
	}
	var all []lab.Check
	for _, s := range m.bench.lab.Steps {
		all = append(all, m.bench.lab.StepChecks(s.ID)...)
	}
	return all
}

// Init begins nothing: everything comes from outside.
func (m model) Init() tea.Cmd { return nil }

// Update takes in one message.
func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m.key(msg.String())
	case begunMsg:
		return m.begun(msg.checks)
	case judgedMsg:
		m = m.judged(msg.check)
	case idleMsg:
		m.step = m.current()
	case fileMsg:
		if !slices.Contains(m.files, msg.name) {
			m.files = append(m.files, msg.name)
		}
	case answerMsg:
		m.trouble = ""
		if msg.err != nil {
			m.trouble = msg.err.Error()
		}
	case hintMsg:
		m.rows = cloned(m.rows)
		r := m.rows[msg.check]
		r.hint = &msg.hint
		m.rows[msg.check] = r
	case tickMsg:
		m.frame++
		if m.ticking = m.busy(); m.ticking {
			return m, tick()
		}
	case endedMsg:
		m.ended = msg.err
		return m, tea.Quit
	}
	return m, nil
}

func (m model) key(key string) (tea.Model, tea.Cmd) {
	switch key {
	case "q", "esc":
		return m, tea.Quit
	case "ctrl+c":
		return m, tea.Interrupt
	case "a":
		m.all = !m.all
	case "r":
		m.send(ask{again: true})
	case "h":
		if r, ok := m.failing(); ok {
			m.send(ask{hint: r.check.ID, shown: r.told()})
		}
	}
	return m, nil
}

// send hands a wish on; one too many at once is dropped.
func (m model) send(a ask) {
	select {
	case m.asks <- a:
	default:
	}
}

func (m model) begun(checks []string) (tea.Model, tea.Cmd) {
	m.rows = cloned(m.rows)
	for id, r := range m.rows {
		r.running = slices.Contains(checks, id)
		m.rows[id] = r
	}
	m.news, m.green, m.files = nil, nil, nil // something was applied
	if m.ticking {
		return m, nil
	}
	m.ticking = true
	return m, tick()
}

func (m model) judged(c result.Check) model {
	m.rows = cloned(m.rows)
	before := m.rows[c.ID]
	now := row{check: c, passed: before.passed || before.check.Status == result.Passed, hint: before.hint}
	if c.Status == result.Passed {
		now.hint = nil
	}
	m.rows[c.ID] = now
	was := before.check.Status
	switch {
	case c.Status == result.Passed && was != result.Passed:
		m.news = append(slices.Clone(m.news), "✓ turned green: "+c.ID)
		m.green = append(slices.Clone(m.green), c.ID)
	case now.regressed() && was != result.Failed:
		m.news = append(slices.Clone(m.news), "✗ regression: "+c.ID+" passed before")
	}
	return m
}

func (m model) busy() bool {
	for _, r := range m.rows {
		if r.running {
			return true
		}
	}
	return false
}

// parting is what stays on the terminal when the screen is gone.
func (m model) parting() []string {
	if m.bench == nil {
		return nil
	}
	return m.bench.outlook(m.status(), m.withheld, m.green)
}

func tick() tea.Cmd { return tea.Tick(frameEvery, func(time.Time) tea.Msg { return tickMsg{} }) }

func cloned(rows map[string]row) map[string]row {
	next := make(map[string]row, len(rows))
	for id, r := range rows {
		next[id] = r
	}
	return next
}
