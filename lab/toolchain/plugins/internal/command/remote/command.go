// Package remote runs commands and copies files on other machines, over SSH.
package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

// Command is command:remote:Command.
type Command struct{}

// Logging is which output is shown while a command runs.
type Logging string

// Values lists what Logging may be.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: shell.LogStdout, Value: shell.LogStdout, Description: "Capture stdout in logs but not stderr"},
		{Name: shell.LogStderr, Value: shell.LogStderr, Description: "Capture stderr in logs but not stdout"},
		{Name: shell.LogStdoutAndStderr, Value: shell.LogStdoutAndStderr, Description: "Capture stdout and stderr in logs"},
		{Name: shell.LogNone, Value: shell.LogNone, Description: "Capture no logs"},
	}
}

// CommandInputs are the inputs of a Command.
type CommandInputs struct {
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
	Create                 *string           `pulumi:"create,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Triggers               []any             `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Update                 *string           `pulumi:"update,optional"`
}

// CommandOutputs are its state.
type CommandOutputs struct {
	CommandInputs
	Stderr string `pulumi:"stderr"`
	Stdout string `pulumi:"stdout"`
}

// Annotate describes the resource.
func (c *Command) Annotate(a infer.Annotator) {
	a.Describe(&c, "A command to run on a remote host. It runs on create, update and delete as its inputs say; "+
		"without an update command, a change of any input runs the create command again.")
}

// Check refuses a way of logging that there is not.
func (*Command) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[CommandInputs], error) {
	in, failures, err := infer.DefaultCheck[CommandInputs](ctx, req.NewInputs)
	if known, ok := req.NewInputs.GetOk("logging"); ok && !known.HasComputed() {
		if wrong := shell.CheckLogging(string(shell.Or(in.Logging, ""))); wrong != nil {
			failures = append(failures, p.CheckFailure{Property: "logging", Reason: wrong.Error()})
		}
	}
	return infer.CheckResponse[CommandInputs]{Inputs: in, Failures: failures}, err
}

// WireDependencies tells what the output comes from: a secret that went in may come out, but not the connection's.
func (*Command) WireDependencies(f infer.FieldSelector, args *CommandInputs, state *CommandOutputs) {
	from := []infer.InputField{
		f.InputField(&args.Create), f.InputField(&args.Update), f.InputField(&args.Environment),
		f.InputField(&args.Stdin), f.InputField(&args.Triggers), f.InputField(&args.Connection).Computed(),
		f.InputField(&args.Delete).Computed(), f.InputField(&args.Logging).Computed(),
		f.InputField(&args.AddPreviousOutputInEnv).Computed(),
	}
	f.OutputField(&state.Stdout).DependsOn(from...)
	f.OutputField(&state.Stderr).DependsOn(from...)
}

// Create runs the create command.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	response := infer.CreateResponse[CommandOutputs]{
		ID: shell.NewID(req.Name), Output: CommandOutputs{CommandInputs: req.Inputs},
	}
	if req.DryRun || req.Inputs.Create == nil {
		return response, nil
	}
	return response, run(ctx, *req.Inputs.Create, req.Inputs, nil, &response.Output)
}

// Update runs the update command, or else the create command.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr}
	command := shell.Command(req.Inputs.Update, req.Inputs.Create)
	if req.DryRun || command == nil {
		return infer.UpdateResponse[CommandOutputs]{Output: state}, nil
	}
	err := run(ctx, *command, req.Inputs, &req.State, &state)
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs the delete command.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	return infer.DeleteResponse{}, run(ctx, *req.State.Delete, req.State.CommandInputs, &req.State, &CommandOutputs{})
}

func run(ctx context.Context, command string, in CommandInputs, previous, out *CommandOutputs) error {
	client, err := connect(ctx, *in.Connection)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return fmt.Errorf("open a session: %w", err)
	}
	defer session.Close() //nolint:errcheck // closed already when the command ended
	if err := setEnvironment(ctx, session, in, previous); err != nil {
		return err
	}
	if in.Stdin != nil {
		session.Stdin = strings.NewReader(*in.Stdin)
	}
	stdout, stderr := shell.Streams(ctx, string(shell.Or(in.Logging, "")))
	session.Stdout, session.Stderr = stdout, stderr
	stop := context.AfterFunc(ctx, func() {
		// Without a terminal the end of the connection alone would leave the command running.
		_ = session.Signal(ssh.SIGTERM)
		client.Close()
	})
	err = session.Run(command)
	if !stop() {
		err = errors.Join(err, ctx.Err())
	}
	out.Stdout, out.Stderr = stdout.Close(), stderr.Close()
	if err != nil {
		return shell.Failure(err, out.Stderr)
	}
	return nil
}

func setEnvironment(ctx context.Context, session *ssh.Session, in CommandInputs, previous *CommandOutputs) error {
	if previous != nil && shell.Or(in.AddPreviousOutputInEnv, true) {
		for name, text := range map[string]string{
			shell.PreviousStdout: previous.Stdout, shell.PreviousStderr: previous.Stderr,
		} {
			if session.Setenv(name, text) != nil {
				tell := p.GetLogger(ctx).Debug
				if in.AddPreviousOutputInEnv != nil {
					tell = p.GetLogger(ctx).Warning
				}
				tell("the SSH server does not take " + name + ": list it under AcceptEnv, or set addPreviousOutputInEnv " +
					"to false")
			}
		}
	}
	for name, text := range in.Environment {
		if session.Setenv(name, text) != nil {
			return fmt.Errorf("environment: the SSH server does not take %s: list it under AcceptEnv in its "+
				"configuration, or begin the command with the variable", name)
		}
	}
	return nil
}
