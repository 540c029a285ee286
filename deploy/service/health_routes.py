"""What watches a service reads: ``/metrics``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from deploy.service.desk import Desk, desk_of
from deploy.service.metrics import MEDIA_TYPE

router = APIRouter(tags=["operation"])


@router.get("/metrics", response_class=Response)
def metrics(desk: Annotated[Desk, Depends(desk_of)]) -> Response:
    """Counters and histograms in the text form of Prometheus."""
    return Response(desk.metrics.exposition(), media_type=MEDIA_TYPE)
