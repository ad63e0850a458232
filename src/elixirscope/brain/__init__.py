"""From source to what is recorded. Ways in: `orchestrator.analysis_of`, `planner.make_plan`, `plan.Plan`."""
