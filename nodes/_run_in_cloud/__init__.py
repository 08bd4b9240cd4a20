"""Run in Cloud: a queued prompt split into what stays here and what runs there."""
