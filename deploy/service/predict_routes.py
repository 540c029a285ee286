"""``POST /predict``: what the active model says of photographs."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from deploy.service.desk import Desk, desk_of
from deploy.service.forms import Answer, ModelName
from deploy.service.images import REQUEST_BODY, images_of
from deploy.service.problems import Problem
from distill.preprocess import Policy

router = APIRouter(tags=["answers"])


@router.post("/predict", response_model=Answer, openapi_extra=REQUEST_BODY)
async def predict(
    request: Request,
    desk: Annotated[Desk, Depends(desk_of)],
    model: Annotated[str | None, Query(description="Another model than the active one.")] = None,
    policy: Annotated[Policy | None, Query(description="How an image becomes the model's input.")] = None,
    explain: Annotated[bool, Query(description="Add a map of what the answer hangs on.")] = False,
) -> Response:
    """Judge the files of a form, or one image as the body. A file that is no image gets an error of its own.

    Where no image could be read, the status is 422.
    """
    started = time.perf_counter()
    images = await images_of(request, most=desk.settings.max_images)
    loaded = await desk.model(model)
    judged = await desk.judge(loaded, images, policy=policy, explained=explain)
    errors = [f"{one.name}: {one.error}" for one in judged if one.error is not None]
    if len(errors) == len(judged):
        raise Problem(
            422, errors[0] if len(errors) == 1 else f"none of {len(errors)} images can be read", errors=errors
        )
    answer = Answer(
        model=ModelName(name=loaded.name, sha256=loaded.digest),
        images=tuple(judged),
        seconds=time.perf_counter() - started,
    )
    return Response(answer.model_dump_json(), media_type="application/json")
