package main

import "github.com/claviger-auth/claviger/keys"

// commands returns the table of all commands, in the order in which help shows
// them. A new command is a file, a line here, and a text in the folder help.
func commands() []command {
	return []command{
		migrateCommand,
		checkCommand,
		orgsCommand,
		{name: "keys", brief: "make, list, change and end API keys", verbs: credentialVerbs(keys.KindKey)},
		{name: "clients", brief: "the same for OAuth clients", verbs: credentialVerbs(keys.KindClient)},
		showCommand(""), changeCommand(""), pauseCommand(""), resumeCommand(""), rotateCommand(""), revokeCommand(""),
		verifyCommand,
		importCommand,
		sweepCommand,
		auditCommand,
		statsCommand,
		patternCommand,
		helpCommand(),
	}
}

// credentialVerbs returns what can be done with credentials of one kind.
func credentialVerbs(kind keys.Kind) []command {
	return []command{
		createCommand(kind), listCommand(kind), showCommand(kind), changeCommand(kind),
		pauseCommand(kind), resumeCommand(kind), rotateCommand(kind), revokeCommand(kind),
	}
}
