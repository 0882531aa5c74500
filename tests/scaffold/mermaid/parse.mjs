// Reads graphs as JSON, an object of name to text, and prints what Mermaid says of each
// that it does not understand.
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('')
Object.assign(globalThis, { window, document: window.document })
const { default: mermaid } = await import('mermaid')

let input = ''
for await (const chunk of process.stdin) input += chunk
const faults = {}
for (const [name, text] of Object.entries(JSON.parse(input))) {
  await mermaid.parse(text).catch((error) => {
    faults[name] = error.message
  })
}
console.log(JSON.stringify(faults))
