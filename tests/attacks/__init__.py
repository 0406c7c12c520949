"""What must not hurt: altered files, models that misbehave, pools used oddly, streams, locks."""
