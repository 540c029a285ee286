"""The page that ``edgeproof app`` shows: Streamlit around a detector, a run folder and the service's jobs."""
