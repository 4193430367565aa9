// Package keysimport imports the API keys and OAuth clients of other systems, from what
// those systems keep of them, in CSV or JSON lines. The owners of the credentials go on
// using them as before. README.md beside this file has a section for each system: what
// to export, and which settings the host needs.
//
//	preset, _ := keysimport.Lookup("sanctum")
//	format, err := preset.Format("")
//	...
//	manager, err := keys.NewManager(store, &keys.Options{OtherFormats: []*keys.Format{format}})
//	...
//	rows, err := keysimport.ReadCSV(file, preset, &keysimport.Defaults{Org: "acme", Format: format})
//	...
//	summary, err := keysimport.Run(ctx, manager, rows, &keysimport.Options{DryRun: true})
//
// An import can be stopped at any time and started again with the same file. What was
// imported before is left as it is.
package keysimport
