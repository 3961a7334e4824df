// Package suite lets those who know Ginkgo run a lab's specs with its own command and flags:
//
//	ginkgo run ./grader/suite -- -lab clusterip -namespace my-work
//	ginkgo run --label-filter 'step:database' --junit-report out.xml ./grader/suite -- -lab clusterip -namespace my-work
//
// It grades what is in the namespace as it stands; nothing is applied or removed. Without
// -lab, as under "go test ./...", it proves that every lab builds one spec a check.
package suite

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"labctl.dev/labctl/grader"
	"labctl.dev/labctl/internal/cluster"
	"labctl.dev/labctl/internal/kube"
	"labctl.dev/labctl/internal/lab"
	"labctl.dev/labctl/internal/loadbalancer"
	"labctl.dev/labctl/labs"
)

// options are the suite's own flags, behind "--".
type options struct {
	lab, labs, report string
	target            grader.Target
}

func TestMain(m *testing.M) {
	o := &options{}
	flag.StringVar(&o.lab, "lab", "", "the lab's id")
	flag.StringVar(&o.labs, "labs", "", "a folder with further labs")
	flag.StringVar(&o.report, "report", "", "write labctl's report to this file")
	flag.StringVar(&o.target.Namespace, "namespace", "default", "the namespace to grade")
	flag.StringVar(&o.target.Kubeconfig, "kubeconfig", "", "kubeconfig file (default: the user's)")
	flag.StringVar(&o.target.Context, "context", "", "context (default: kind-CLUSTER)")
	flag.StringVar(&o.target.Cluster, "cluster", cluster.DefaultName, "labctl's name for the cluster")
	flag.StringVar(&o.target.Provider, "provider", "", "container engine")
	flag.Parse()
	if o.target.Context == "" {
		o.target.Context = "kind-" + o.target.Cluster
	}
	if err := o.build(); err != nil {
		fmt.Println(err)
		panic(err) // there is no suite to run
	}
	m.Run()
}

// build adds the specs to Ginkgo's tree.
func (o *options) build() error {
	var dirs []string
	if o.labs != "" {
		dirs = append(dirs, o.labs)
	}
	catalog, err := lab.NewCatalog(labs.Files(), dirs, grader.RunNames())
	if err != nil {
		return err
	}
	if o.lab == "" {
		selfCheck(catalog)
		return nil
	}
	kube.Silence()
	l, err := catalog.Lab(o.lab)
	if err != nil {
		return err
	}
	verdicts := grader.Specs(l, func(ctx context.Context) (*grader.Session, error) {
		// The session lives longer than the node that opens it.
		return grader.Dial(context.WithoutCancel(ctx), l, o.target, loadbalancer.Serves)
	})
	if o.report != "" {
		ginkgo.ReportAfterSuite("write labctl's report", func(suite ginkgo.Report) {
			gomega.Expect(grader.WriteReport(o.report, grader.Report(l, suite, verdicts()))).To(gomega.Succeed())
		})
	}
	return nil
}

// selfCheck needs no cluster: every check of every lab is one spec with its labels.
func selfCheck(catalog *lab.Catalog) {
	ginkgo.Describe("the labs", func() {
		for _, l := range catalog.Labs {
			ginkgo.It("build one spec for each check of "+l.ID, func() {
				gomega.Expect(grader.SpecLabels(l)).To(gomega.HaveLen(len(l.Checks)))
				for i, labels := range grader.SpecLabels(l) {
					gomega.Expect(slices.Contains(labels, l.Checks[i].ID)).To(gomega.BeTrue())
				}
			})
		}
	})
}

func TestLab(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, "labctl")
}
