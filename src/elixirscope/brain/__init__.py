"""From source to what is recorded. Ways in: `analyzer.analyze`, `planner.make_plan`, `plan.Plan`, `orchestrator`."""
