"""What conditions over history mean to a schema: variables, kinds of values, paths, findings."""
