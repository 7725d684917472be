"""From layouts as others keep them to the source of a spec: COBOL copybooks, layout sheets. Text in, text out."""
