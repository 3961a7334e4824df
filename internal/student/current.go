package student

import (
	"labctl.dev/labctl/internal/fault"
	"labctl.dev/labctl/internal/lab"
)

// Current returns the lab with the id, or the one that was started last where id is "", with
// what the student did in it. An unknown lab, or one that was not started, is a fault.Input
// that names the command to run.
func Current(p *Progress, c *lab.Catalog, id string) (*lab.Lab, *Lab, error) {
	if id == "" {
		return ongoing(p, c)
	}
	l, err := c.Lab(id)
	if err != nil {
		return nil, nil, err
	}
	mine := p.Labs[id]
	if mine == nil {
		return nil, nil, fault.Inputf("lab %q has not been started", id).WithRemedy("labctl start %s", id)
	}
	return l, mine, nil
}

// ongoing returns the lab that was started last.
func ongoing(p *Progress, c *lab.Catalog) (*lab.Lab, *Lab, error) {
	mine := p.Labs[p.Current]
	if mine == nil {
		first := "LAB"
		if len(c.Labs) > 0 {
			first = c.Labs[0].ID
		}
		return nil, nil, fault.Inputf("no lab has been started").WithRemedy("labctl start %s (labctl labs lists them)", first)
	}
	for _, l := range c.Labs {
		if l.ID == p.Current {
			return l, mine, nil
		}
	}
	return nil, nil, fault.Inputf("lab %q, which you started last, is not among the labs", p.Current).
		WithRemedy("name the folder that it is in by --labs or LABCTL_LABS, or choose another: labctl labs")
}
