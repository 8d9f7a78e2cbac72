"""`create_app`, which builds the web application of the studio from its API routes, static files and middleware."""

from __future__ import annotations

import traceback
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from audiogan.errors import UserError
from audiogan.studio import (
    applying,
    finding,
    imitate,
    kits,
    listening,
    mapping,
    mixing,
    opening,
    patterns,
    recordings,
    sounds,
    watching,
)
from audiogan.studio.applied_models import AppliedModels
from audiogan.studio.instrument import Instrument
from audiogan.studio.limits import Limits, Refused, Slots
from audiogan.studio.security import RequestGuard
from audiogan.studio.sounds import Studio

if TYPE_CHECKING:
    from audiogan.kits import Kit
    from audiogan.model.generator import Generator

ROUTERS = (
    *(sounds.router, kits.router, patterns.router, imitate.router, watching.router),
    *(mixing.router, opening.router),
    *(finding.router, recordings.router, mapping.router, listening.router, applying.router),
)
MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
PAGES = {"/": "index.html", "/apply": "apply.html", "/run": "run.html", "/blind": "blind.html"}
"""URL path -> file name of each HTML page. Every static file is also served at ``/static/NAME``."""


def create_app(
    generator: Generator,
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    runs_dir: str | Path = "runs",
    extra_run: str | Path | None = None,
    recordings_dir: str | Path | None = None,
    kit: Kit | None = None,
    session: dict[str, Any] | None = None,
    applied: str | Path | None = None,
) -> FastAPI:
    """Return the ASGI application of the studio for one model.

    Args:
        generator: model that generates sounds. Other code may use it at the same time.
        host: host name or address of the server. Requests with another ``Host`` header are refused, unless it names the
            local machine.
        token: secret that every client must send. None: no token is required. Set it if other machines can reach
            ``host``.
        runs_dir: folder that is searched for run folders. The page lists them.
        extra_run: run folder outside ``runs_dir`` that the page also lists.
        recordings_dir: folder with sound files of the user, for the map of sounds and the listening test.
        kit: kit that the page shows at first. By default a new kit.
        session: patterns and tempo of this kit, see `audiogan.studio.opening.read_session`.
        applied: run folder or model file that the page Apply offers in addition to the shipped models and the runs,
            and selects at first.

    Raises:
        UserError: the model does not generate sounds, or needs inputs that cannot be drawn at random.
    """
    limits = Limits()
    app = FastAPI(title="audiogan studio", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.studio = Studio(
        Instrument(generator),
        limits,
        Slots(limits.max_running, limits.max_waiting, limits.wait_seconds),
        Slots(1, 2, limits.imitate_seconds),
    )
    app.state.watching = watching.Watching(Path(runs_dir), generator.checkpoint, Path(extra_run) if extra_run else None)
    instrument, folder = app.state.studio.instrument, Path(recordings_dir) if recordings_dir else None
    app.state.recordings = recordings.Recordings(generator, folder)
    app.state.measures = mixing.MeasureCache(generator)
    app.state.opened = None if kit is None else opening.to_page(instrument, kit, session)
    app.state.directions = finding.DirectionCache(generator)
    app.state.maps = mapping.SoundMaps(instrument, app.state.recordings)
    app.state.listening = listening.ListeningTests(instrument, app.state.recordings)
    app.state.applied_models = AppliedModels(app.state.watching, Path(applied) if applied else None)
    app.state.applied_sounds = applying.SoundStore(limits.apply_seconds)
    for router in ROUTERS:
        app.include_router(router)
    _serve_files(app)
    app.add_middleware(RequestGuard, host=host, token=token)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _wrong_query)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _broken)
    return app


def _serve_files(app: FastAPI) -> None:
    """Add a route for each static file. Files are read here, so that no request can name a path on this machine."""
    folder = resources.files("audiogan.studio").joinpath("static")
    for file in folder.iterdir():
        kind = MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if kind is None:
            continue
        addresses = [f"/static/{file.name}", *(address for address, name in PAGES.items() if name == file.name)]
        for address in addresses:
            _serve(app, address, file.read_bytes(), kind)


def _serve(app: FastAPI, address: str, content: bytes, kind: str) -> None:
    def answer() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    app.add_api_route(address, answer, methods=["GET", "HEAD"], include_in_schema=False)


def _refused(request: Request, error: Any) -> Response:
    return error.response()


def _user_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": Studio.from_request(request).instrument.error_message(error)}, 422)


def _wrong_query(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    return JSONResponse({"error": f"{first['loc'][-1]}: {first['msg']}"[:300]}, 422)


def _http_error(request: Request, error: Any) -> Response:
    message = {404: "not found", 405: "method not allowed"}
    return JSONResponse({"error": message.get(error.status_code, str(error.detail))}, error.status_code)


def _broken(request: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    return JSONResponse({"error": "internal error of the studio; its terminal shows the details"}, 500)
