// Makes calls with the vendor's client: a line of JSON each on standard input, {call, args}; an outcome each on
// standard output, {answer} or {error}.
const lines = require('readline').createInterface({ input: process.stdin })
const [, , client, host, token] = process.argv
const api = require(client).defaults({ host, access_token: token })

lines.on('line', (line) => {
  const { call, args } = JSON.parse(line)
  api[call](...args, (error, answer) => {
    const outcome = error ? { error: { statusCode: error.statusCode, message: error.message } } : { answer }
    process.stdout.write(JSON.stringify(outcome) + '\n')
  })
})
