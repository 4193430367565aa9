// Package keysimport reads what other systems keep of their API keys and OAuth
// clients, from CSV and JSON lines, and imports it. The owners of the credentials
// go on using them as before. README.md beside this file has a section for each
// system: what to export, and which settings the host needs.
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
// An import can be stopped at any time and begun again with the same file: what was
// imported before is found, and left as it is.
package keysimport
