"""How the governor's side carries an action out itself: requests over HTTP, statements in SQL."""
