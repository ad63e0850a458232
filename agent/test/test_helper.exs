# The agent itself depends on nothing; its tests are told what its supervisors log.
{:ok, _} = Application.ensure_all_started(:logger)
# A limit is there to end what hangs; other work may have the processors.
ExUnit.start(timeout: 300_000, assert_receive_timeout: 30_000)
