"""Command ``audiogan studio``: play a model in the browser."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from audiogan.errors import UserError

if TYPE_CHECKING:
    from audiogan.model.generator import Generator

PORT = 8642


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "studio", help="play a model in the browser with pads, kits and a sequencer, or watch a run"
    )
    parser.add_argument(
        "run",
        nargs="?",
        help="run folder, checkpoint or model (default: the newest run of sounds, else the shipped drums)",
    )
    parser.add_argument(
        "--kit",
        type=Path,
        metavar="KIT",
        help="open this kit (folder, kit.json or ZIP archive) with its model, or with the model of RUN if given",
    )
    parser.add_argument("--port", type=int, help=f"TCP port (default {PORT}, or a free port if it is in use)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1, this machine only); other machines need a token to connect",
    )
    parser.add_argument(
        "--recordings",
        metavar="FOLDER",
        help="folder with your own sound files, for the map of sounds and the blind listening test",
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address without opening a browser")


def run(args: argparse.Namespace, argv: list[str]) -> None:
    if args.port is not None and not 0 <= args.port <= 65535:
        raise UserError(f"--port {args.port}: must be from 0 to 65535")
    if args.recordings is not None:
        from audiogan.studio.recordings import sound_files

        # Check the folder before loading the model, to report errors quickly.
        sound_files(Path(os.path.expanduser(args.recordings)))
    listener = _listen(args.host, args.port)  # A bad port is reported before the model is loaded.
    try:
        _serve(args, listener)
    finally:
        listener.close()


def _serve(args: argparse.Namespace, listener: socket.socket) -> None:
    import secrets
    import threading
    import webbrowser

    import torch

    from audiogan.commands.kit import read_kit, read_kit_content
    from audiogan.studio.app import create_app
    from audiogan.studio.opening import read_session
    from audiogan.studio.runs import Run
    from audiogan.studio.security import ANY, is_local
    from audiogan.studio.serving import Server

    torch.set_num_threads(1)  # Requests run in parallel, so each uses one core.
    kit, session, applied = None, None, None
    if args.kit is None:
        generator, watched, applied = _chosen(args.run)
    else:
        (kit, generator), watched = read_kit(args.kit, args.run), None
        session = read_session(read_kit_content(args.kit)[1])
    token = None if is_local(args.host) else secrets.token_urlsafe(24)
    folder = Path(os.path.expanduser(args.recordings)) if args.recordings is not None else None
    app = create_app(
        generator,
        host=args.host,
        token=token,
        extra_run=watched,
        recordings_dir=folder,
        kit=kit,
        session=session,
        applied=applied,
    )
    name = socket.gethostname() if args.host in ANY else args.host
    place = f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}/"
    query = f"?token={token}" if token else ""
    address = place + query
    if token:
        print("anyone who has this address can use the studio; the connection is not encrypted")
    print(f"{generator.name} plays at {address}  (Ctrl-C to quit)", flush=True)
    helper = threading.Timer(3, _warm_up, [generator])
    helper.daemon = True
    helper.start()
    if watched:
        address = f"{place}run{query}#{Run.from_folder(watched.absolute(), '').id}"
        print(f"{watched} is watched at {address}", flush=True)
    if applied:
        address = f"{place}apply{query}"
        print(f"{args.run} is on the page Apply at {address}", flush=True)
    if not args.no_browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with contextlib.suppress(KeyboardInterrupt):
        Server(app).run(sockets=[listener])


def _warm_up(generator: Generator) -> None:
    """Load the code and data of imitations in advance, because this takes seconds."""
    with contextlib.suppress(Exception):  # The first request repeats and reports the error.
        from audiogan.latents import encode

        encode(generator, generator.sample(1, seed=0)[0], generator.sample_rate, seconds=0.1)
    gc.collect()
    gc.freeze()  # Garbage collection of all existing objects would delay requests by 0.1 s.


def _chosen(run: str | None) -> tuple[Generator, Path | None, Path | None]:
    """Return the model to play, the run to watch or ``None``, and the model for the page Apply or ``None``.

    If the run has no checkpoint yet or cannot be played, the page watches it and plays the shipped drums. If the
    run makes sounds from given sounds or texts, it is opened on the page Apply.
    """
    from audiogan.commands.newest import find_newest_sound_model
    from audiogan.model.loading import load
    from audiogan.run.model_files import DEFAULT_MODEL, find_model, list_runs, shipped_models
    from audiogan.studio.runs import MARKS

    if run is None:
        where = find_newest_sound_model()
        others = list_runs() if where == shipped_models()[DEFAULT_MODEL] else []
        return load(where), others[0] if others else None, None
    where, watched = find_model(run), None
    if where.is_dir() and any((where / mark).is_file() for mark in MARKS):
        watched = where
    reason = "it has no checkpoint yet"
    if watched is None or any(where.glob("checkpoints/step-*.ckpt")):
        generator = load(where)
        needed = ", ".join(generator.game.required_inputs)
        if generator.modality.sample_rate is not None and needed:
            return load(shipped_models()[DEFAULT_MODEL]), watched, where
        if watched is None or generator.modality.sample_rate is not None:
            return generator, None, None
        reason = f"it needs the input {needed}" if needed else f"it makes {generator.modality.noun}s"
    print(f"{where} cannot be played: {reason}; only its progress is shown")
    return load(shipped_models()[DEFAULT_MODEL]), where, None


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at ``host``. Without ``port``, use the default port or any free one."""
    try:
        family, *_, where = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UserError(f"--host {host}: unknown address ({error.strerror}); use an address of this machine") from error
    for wanted in (PORT, 0) if port is None else (port,):
        # Nagle's algorithm would delay responses by 40 ms. asyncio disables it only if IPPROTO_TCP is given.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((where[0], wanted, *where[2:]))
            listener.listen(512)  # Early connections wait until the server is ready.
            return listener
        except OSError as error:
            listener.close()
            reason = error.strerror
    raise UserError(f"{host}:{port}: cannot listen there ({reason}); choose another --port or --host")
