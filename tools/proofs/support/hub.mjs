/** A stand-in of the model hub's HTTP interface, on this machine: repositories are maps of file contents. */
import { createHash } from "node:crypto";
import { createServer } from "node:http";

/** Serves one repository of a kind (`models` or `datasets`) under `owner/name`. */
export async function startHub(id, files, kind = "models") {
  const sha = createHash("sha1").update(Object.keys(files).join()).digest("hex");
  const prefix = kind === "models" ? "" : "datasets/";
  const oid = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const gitHash = (bytes) => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  const answer = (request, response) => {
    const { pathname } = new URL(request.url, "http://hub");
    const json = (value) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(value));
    };
    if (pathname === `/api/${kind}/${id}` || pathname.startsWith(`/api/${kind}/${id}/revision/`)) {
      json({
        _id: "1",
        id,
        sha,
        private: false,
        gated: false,
        downloads: 0,
        likes: 0,
        lastModified: new Date(0),
      });
    } else if (pathname.startsWith(`/api/${kind}/${id}/tree/`)) {
      const large = { oid: "", size: 0, pointerSize: 130 };
      json(
        Object.entries(files).map(([path, bytes]) => ({
          type: "file",
          path,
          size: bytes.length,
          oid: gitHash(bytes),
          ...(bytes.length > 1000 && { lfs: { ...large, oid: oid(bytes), size: bytes.length } }),
        })),
      );
    } else if (pathname.startsWith(`/${prefix}${id}/resolve/${sha}/`)) {
      const bytes = files[decodeURIComponent(pathname.split(`/resolve/${sha}/`)[1])];
      if (bytes === undefined) {
        response.writeHead(404).end();
        return;
      }
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
      const start = range ? Number(range[1]) : 0;
      if (range && start >= bytes.length) {
        response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
        return;
      }
      const end = range?.[2] ? Math.min(Number(range[2]), bytes.length - 1) : bytes.length - 1;
      response.writeHead(range ? 206 : 200, {
        etag: `"${bytes.length > 1000 ? oid(bytes) : gitHash(bytes)}"`,
        "content-length": end - start + 1,
        "content-range": `bytes ${start}-${end}/${bytes.length}`,
        "accept-ranges": "bytes",
      });
      response.end(request.method === "HEAD" ? undefined : bytes.subarray(start, end + 1));
    } else response.writeHead(404).end();
  };
  const requests = [];
  const server = createServer((request, response) => {
    const { range } = request.headers;
    requests.push(`${request.method} ${request.url}${range ? ` ${range}` : ""}`);
    if (!hub.intercept?.(request, response)) answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub = {
    url: `http://127.0.0.1:${server.address().port}`,
    requests,
    intercept: undefined,
    gitHash,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return hub;
}
