# The agent itself depends on nothing; its tests are told what its supervisors log.
{:ok, _} = Application.ensure_all_started(:logger)
ExUnit.start()
