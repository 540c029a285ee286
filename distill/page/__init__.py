"""Pages: blocks as plain data, rendered as one self-contained HTML file or as Markdown, and how charts look."""
