"""HTTP as a jail sees it: a proxy, behind which each request is an action that is judged."""
