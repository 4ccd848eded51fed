// Starts dynalite, the folder of which is the first argument, with the options in the second, JSON.
//
// Dynalite throws the error of a request whose client has gone away, and ends. Here this error is
// dropped, and no other.
const [folder, options] = process.argv.slice(2)
const { host, port, ...rest } = JSON.parse(options)
const server = require(folder)(rest)
const [handle] = server.listeners('request')
server.removeAllListeners('request')
server.on('request', (req, res) => {
  handle(req, res)
  req.removeAllListeners('error')
  req.on('error', () => {})
})
server.listen(port, host, () => console.log('dynalite listens at ' + host + ':' + port))
