import FabricSetup

await SetupCommand.runFromCommandLine()
