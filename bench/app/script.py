"""What Streamlit runs, from the top for every click. Torch-free."""

import streamlit as st

from bench.app import fit_page, judge_page, run_page


def main() -> None:
    """Three pages."""
    st.set_page_config(page_title="edgeproof", page_icon="🔍", layout="wide")
    pages = {
        judge_page.show: ("Judge images", "judge"),
        run_page.show: ("Explore a run", "run"),
        fit_page.show: ("Train", "fit"),
    }
    st.navigation([st.Page(page, title=title, url_path=path) for page, (title, path) in pages.items()]).run()


main()
