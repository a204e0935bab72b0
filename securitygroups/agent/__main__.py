import sys

from securitygroups.agent.main import main

sys.exit(main())
