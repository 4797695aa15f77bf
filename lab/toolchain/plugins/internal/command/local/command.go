// Package local runs commands on the machine that runs Pulumi.
package local

import (
	"context"
	"fmt"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/okd-libvirt/toolchain/plugins/internal/command/shell"
)

// Command is command:local:Command.
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

// RunInputs say how a command runs and what is kept of it.
type RunInputs struct {
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
	ArchivePaths           []string          `pulumi:"archivePaths,optional"`
	AssetPaths             []string          `pulumi:"assetPaths,optional"`
	Dir                    *string           `pulumi:"dir,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
	Interpreter            []string          `pulumi:"interpreter,optional"`
	Logging                *Logging          `pulumi:"logging,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
}

// RunOutputs are what a command left.
type RunOutputs struct {
	Archive *resource.Archive               `pulumi:"archive,optional"`
	Assets  map[string]types.AssetOrArchive `pulumi:"assets,optional"`
	Stderr  string                          `pulumi:"stderr"`
	Stdout  string                          `pulumi:"stdout"`
}

// CommandInputs are the inputs of a Command.
type CommandInputs struct {
	RunInputs
	Create   *string `pulumi:"create,optional"`
	Delete   *string `pulumi:"delete,optional"`
	Triggers []any   `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Update   *string `pulumi:"update,optional"`
}

// CommandOutputs are its state.
type CommandOutputs struct {
	CommandInputs
	RunOutputs
}

// Annotate describes the resource.
func (c *Command) Annotate(a infer.Annotator) {
	a.Describe(&c, "A local command to be executed. It runs on create, update and delete as its inputs say; "+
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

// WireDependencies tells what the output comes from: a secret that went in may come out.
func (*Command) WireDependencies(f infer.FieldSelector, args *CommandInputs, state *CommandOutputs) {
	from := []infer.InputField{
		f.InputField(&args.Create), f.InputField(&args.Update), f.InputField(&args.Environment),
		f.InputField(&args.Stdin), f.InputField(&args.Triggers), f.InputField(&args.Interpreter),
		f.InputField(&args.Dir), f.InputField(&args.AssetPaths), f.InputField(&args.ArchivePaths),
		f.InputField(&args.AddPreviousOutputInEnv), f.InputField(&args.Logging), f.InputField(&args.Delete).Computed(),
	}
	f.OutputField(&state.Stdout).DependsOn(from...)
	f.OutputField(&state.Stderr).DependsOn(from...)
	f.OutputField(&state.Assets).DependsOn(from...)
	f.OutputField(&state.Archive).DependsOn(from...)
}

// Create runs the create command.
func (*Command) Create(
	ctx context.Context, req infer.CreateRequest[CommandInputs],
) (infer.CreateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs}
	response := infer.CreateResponse[CommandOutputs]{ID: shell.NewID(req.Name), Output: state}
	if req.DryRun || req.Inputs.Create == nil {
		return response, nil
	}
	out, err := run(ctx, *req.Inputs.Create, req.Inputs.RunInputs, nil)
	response.Output.RunOutputs = out
	return response, err
}

// Update runs the update command, or else the create command.
func (*Command) Update(
	ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandOutputs],
) (infer.UpdateResponse[CommandOutputs], error) {
	state := CommandOutputs{CommandInputs: req.Inputs, RunOutputs: req.State.RunOutputs}
	command := shell.Command(req.Inputs.Update, req.Inputs.Create)
	if req.DryRun || command == nil {
		return infer.UpdateResponse[CommandOutputs]{Output: state}, nil
	}
	var err error
	state.RunOutputs, err = run(ctx, *command, req.Inputs.RunInputs, &req.State.RunOutputs)
	return infer.UpdateResponse[CommandOutputs]{Output: state}, err
}

// Delete runs the delete command.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandOutputs]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	inputs := req.State.RunInputs
	inputs.AssetPaths, inputs.ArchivePaths = nil, nil
	_, err := run(ctx, *req.State.Delete, inputs, &req.State.RunOutputs)
	return infer.DeleteResponse{}, err
}

// Run is command:local:run.
type Run struct{}

// RunArgs are the arguments of Run.
type RunArgs struct {
	RunInputs
	Command string `pulumi:"command"`
}

// RunResult is the result of Run.
type RunResult struct {
	RunArgs
	RunOutputs
}

// Annotate describes the function.
func (r *Run) Annotate(a infer.Annotator) {
	a.Describe(&r, "A local command to be executed each time the program runs, a preview included.")
}

// Invoke runs the command.
func (*Run) Invoke(ctx context.Context, req infer.FunctionRequest[RunArgs]) (infer.FunctionResponse[RunResult], error) {
	if err := shell.CheckLogging(string(shell.Or(req.Input.Logging, ""))); err != nil {
		return infer.FunctionResponse[RunResult]{}, fmt.Errorf("logging: %w", err)
	}
	out, err := run(ctx, req.Input.Command, req.Input.RunInputs, nil)
	return infer.FunctionResponse[RunResult]{Output: RunResult{RunArgs: req.Input, RunOutputs: out}}, err
}
