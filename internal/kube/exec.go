package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	neturl "net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	clientexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"
)

// ExecExit says that the command in the container ran and ended with a code other than 0.
type ExecExit struct {
	Command []string
	Code    int
}

func (e *ExecExit) Error() string {
	return fmt.Sprintf("%s ended with exit code %d", strings.Join(e.Command, " "), e.Code)
}

// CommandExit gives the code to who does not import this package.
func (e *ExecExit) CommandExit() int { return e.Code }

// PodGone says that the pod is not there any more, or on its way out: what was to be done
// in it cannot be done, and trying again is useless.
type PodGone struct {
	Namespace, Pod string
	Reason         string // "deleted", "being deleted", "phase Failed"
}

func (e *PodGone) Error() string {
	return fmt.Sprintf("pod %s/%s is gone: %s", e.Namespace, e.Pod, e.Reason)
}

// Gone marks the error for who does not import this package.
func (e *PodGone) Gone() bool { return true }

// Exec runs the command in a container. A nil stream is closed or discarded.
//
// Errors: ExecExit where the command itself failed, PodGone where the pod is, else
// one of kind Environment, after which another try may work.
func (c *Client) Exec(
	ctx context.Context, namespace, pod, container string, cmd []string,
	stdin io.Reader, stdout, stderr io.Writer,
) error {
	request := c.typed.CoreV1().RESTClient().Post().
		Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{
			Container: container, Command: cmd,
			Stdin: stdin != nil, Stdout: stdout != nil, Stderr: stderr != nil,
		}, scheme.ParameterCodec)
	executor, err := c.executor(request.URL().String())
	if err != nil {
		return environment(err, "exec in pod %s/%s", namespace, pod)
	}
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
	var exit clientexec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && exit.Exited():
		return &ExecExit{Command: cmd, Code: exit.ExitStatus()}
	case ctx.Err() != nil:
		return environment(ctx.Err(), "exec in pod %s/%s", namespace, pod)
	}
	if gone := c.gone(ctx, namespace, pod); gone != nil {
		return gone
	}
	return environment(err, "exec in pod %s/%s", namespace, pod)
}

// executor speaks WebSocket, and SPDY where something on the way does not.
func (c *Client) executor(url string) (remotecommand.Executor, error) {
	socket, err := remotecommand.NewWebSocketExecutor(c.config, "GET", url)
	if err != nil {
		return nil, err
	}
	parsed, err := neturl.Parse(url)
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(c.config, "POST", parsed)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// gone returns a PodGone where the API server says that the pod is, and nil where it is
// there or nothing can be learnt.
func (c *Client) gone(ctx context.Context, namespace, name string) error {
	pod, err := c.typed.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return &PodGone{namespace, name, "deleted"}
	}
	if err != nil {
		return nil
	}
	return departed(pod)
}

// departed returns a PodGone where the pod has ended or was told to, else nil.
func departed(pod *corev1.Pod) error {
	switch {
	case pod.DeletionTimestamp != nil:
		return &PodGone{pod.Namespace, pod.Name, "being deleted"}
	case pod.Status.Phase == corev1.PodSucceeded, pod.Status.Phase == corev1.PodFailed:
		return &PodGone{pod.Namespace, pod.Name, "phase " + string(pod.Status.Phase)}
	}
	return nil
}
