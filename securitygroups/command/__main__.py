from securitygroups.command.main import main

main()
