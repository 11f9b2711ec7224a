"""The frame: settings, the schedule of the whole flow, and the screens that read several apps."""
