# Builds the gateway, and serves an app with it. Debian trixie for its glibc (2.41): uWebSockets.js for Node 24 needs 2.38.
#
#   docker build -t threadgate .
#   docker run -p 9001:9001 threadgate                                   # the chat example
#   docker run -p 9001:9001 -v ./app.js:/app/app.js:ro threadgate app.js  # an app of yours

FROM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Not `npm ci`: some registries lack optional packages for other platforms, and the lock file names them all.
RUN npm install --no-fund --no-audit --ignore-scripts
COPY . .
RUN npm run build && npm prune --omit=dev --no-fund --no-audit --ignore-scripts

FROM node:24-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/package.json /threadgate/
COPY --from=build /build/node_modules /threadgate/node_modules
COPY --from=build /build/dist /threadgate/dist
COPY --from=build /build/examples /app/examples
# An app may `import 'threadgate'`: resolved from /app upwards.
RUN mkdir -p /node_modules && ln -s /threadgate /node_modules/threadgate
USER node
EXPOSE 9001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.THREADGATE_ADMIN_PORT || 9090}/readyz`).then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# The gateway is process 1 and gets SIGTERM itself.
ENTRYPOINT ["node", "/threadgate/dist/src/cli.js"]
CMD ["examples/chat/app.js"]
