// Command labctl creates a Kubernetes cluster, gives exercises on Services and grades
// them with real traffic.
package main

import (
	"os"

	"labctl.dev/labctl/internal/cli"
)

func main() {
	os.Exit(cli.Main())
}
