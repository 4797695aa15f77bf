// Package bridged names the resources of a Terraform provider as the SDK on PyPI does.
package bridged

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	pftfbridge "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	pftfgen "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// Names maps a Terraform type to the Pulumi name of the resource or function (upper camel case for
// resources, lower camel case for functions).
type Names map[string]string

// Resources gives each Terraform resource its token.
func (n Names) Resources(pkg string) map[string]*tfbridge.ResourceInfo {
	out := make(map[string]*tfbridge.ResourceInfo, len(n))
	for terraform, name := range n {
		out[terraform] = &tfbridge.ResourceInfo{
			Tok: tfbridge.MakeResource(pkg, "index", name),
		}
	}
	return out
}

// Functions gives each Terraform data source its token.
func (n Names) Functions(pkg string) map[string]*tfbridge.DataSourceInfo {
	out := make(map[string]*tfbridge.DataSourceInfo, len(n))
	for terraform, name := range n {
		out[terraform] = &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource(pkg, "index", name)}
	}
	return out
}

// ServeFramework serves a provider that is written with terraform-plugin-framework.
func ServeFramework(info tfbridge.ProviderInfo) {
	ctx := context.Background()
	silenceUpstreamLog()
	schema, err := pftfgen.GenerateSchema(ctx, pftfgen.GenerateSchemaOptions{
		ProviderInfo: info, DiagnosticsSink: quiet(), XInMemoryDocs: true,
	})
	exitOn(err)
	pftfbridge.Main(ctx, info.Name, info, schema.ProviderMetadata)
}

// ServeSDKv2 serves a provider that is written with terraform-plugin-sdk.
func ServeSDKv2(info tfbridge.ProviderInfo, marshal func(any) ([]byte, error)) {
	silenceUpstreamLog()
	result, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo: info, DiagnosticsSink: quiet(), XInMemoryDocs: true,
	})
	exitOn(err)
	schema, err := marshal(result.PackageSpec)
	exitOn(err)
	tfbridge.Main(info.Name, info.Version, info, schema)
}

// Info gives the parts that all bridged providers share.
func Info(p shim.Provider, name, version string) tfbridge.ProviderInfo {
	return tfbridge.ProviderInfo{
		P: p, Name: name, Version: version,
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
	}
}

// The engine reads the port from the first line of stdout, so nothing else may be printed there.
func quiet() diag.Sink {
	return diag.DefaultSink(io.Discard, io.Discard, diag.FormatOptions{Color: colors.Never})
}

func silenceUpstreamLog() {
	if os.Getenv("TF_LOG") == "" {
		log.SetOutput(io.Discard)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
