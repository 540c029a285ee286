"""The HTTP service: thin doors to artifacts, runs and reports. Needs the extra ``serve``; torch only to train."""
