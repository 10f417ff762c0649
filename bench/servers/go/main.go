// The goroutine server: gorilla/websocket with a read loop and a write loop per connection, a channel between them and a
// mutex on the connection; for topics the chat hub, a goroutine that owns the set of subscribers.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	maxPayload = 16 << 20
	// Messages that may wait for a client before its hub lets it go, as in gorilla's chat example.
	sendQueue = 256
	stampLen  = 6
)

var (
	work       = flag.String("work", "echo", "echo, mixed, fanout, chat or http")
	iterations = flag.Int("burn", 0, "iterations of burn")
	_          = flag.Int("threads", 0, "not used: Go runs on all cores (GOMAXPROCS says otherwise)")
	upgrader   = websocket.Upgrader{ReadBufferSize: 4096, WriteBufferSize: 4096}
	hubs       sync.Map // topic → *hub
	sink       uint32
)

// The same loop as work/burn.js.
func burn(n int) {
	x := uint32(1)
	for i := 0; i < n; i++ {
		x = x*1664525 + 1013904223
	}
	sink = x
}

type message struct {
	kind int
	data []byte
}

func serveEcho(conn *websocket.Conn) {
	var mutex sync.Mutex
	messages := make(chan message, sendQueue)
	go func() {
		for m := range messages {
			mutex.Lock()
			err := conn.WriteMessage(m.kind, m.data)
			mutex.Unlock()
			if err != nil {
				conn.Close()
			}
		}
	}()
	defer close(messages)
	defer conn.Close()
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if *work == "echo" || (len(data) > stampLen && data[stampLen] == 'h') {
			burn(*iterations)
		}
		messages <- message{kind, data}
	}
}

type hub struct {
	clients              map[*client]bool
	broadcast            chan message
	register, deregister chan *client
}

type client struct {
	conn *websocket.Conn
	send chan message
}

func hubOf(topic string) *hub {
	if found, ok := hubs.Load(topic); ok {
		return found.(*hub)
	}
	h := &hub{map[*client]bool{}, make(chan message), make(chan *client), make(chan *client)}
	found, existed := hubs.LoadOrStore(topic, h)
	if !existed {
		go h.run()
	}
	return found.(*hub)
}

func (h *hub) run() {
	for {
		select {
		case c := <-h.register:
			h.clients[c] = true
		case c := <-h.deregister:
			if h.clients[c] {
				delete(h.clients, c)
				close(c.send)
			}
		case m := <-h.broadcast:
			for c := range h.clients {
				select {
				case c.send <- m:
				default:
					delete(h.clients, c)
					close(c.send)
				}
			}
		}
	}
}

type chat struct {
	Text string `json:"text"`
	User string `json:"user"`
	Room string `json:"room"`
	At   int64  `json:"at"`
}

var name = regexp.MustCompile(`^[\w-]{1,32}$`)

func chatLine(data []byte) (room string, line []byte) {
	var c chat
	if json.Unmarshal(data, &c) != nil || len(c.Text) == 0 || len(c.Text) > 1000 {
		return "", nil
	}
	if !name.MatchString(c.User) || !name.MatchString(c.Room) {
		return "", nil
	}
	c.At = time.Now().UnixMilli()
	line, _ = json.Marshal(c)
	return c.Room, line
}

func serveTopic(conn *websocket.Conn, topic string, publisher bool) {
	defer conn.Close()
	if !publisher {
		c := &client{conn, make(chan message, sendQueue)}
		h := hubOf(topic)
		h.register <- c
		defer func() { h.deregister <- c }()
		go func() {
			defer conn.Close()
			for m := range c.send {
				if conn.WriteMessage(m.kind, m.data) != nil {
					return
				}
			}
		}()
	}
	for {
		kind, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		if *work != "chat" {
			hubOf(topic).broadcast <- message{kind, data}
		} else if room, line := chatLine(data); line != nil {
			hubOf(room).broadcast <- message{websocket.TextMessage, line}
		}
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(maxPayload)
		if query := r.URL.Query(); query.Get("topic") != "" {
			serveTopic(conn, query.Get("topic"), query.Get("role") == "publisher")
		} else {
			serveEcho(conn)
		}
		return
	}
	if r.URL.Path == "/cpu" {
		burn(*iterations)
	}
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "hello")
}

type order struct {
	ID    string `json:"id"`
	Items []struct {
		Count int `json:"count"`
		Price int `json:"price"`
	} `json:"items"`
}

func serveOrder(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	count, total := 0, 0
	for _, item := range o.Items {
		count += item.Count
		total += item.Count * item.Price
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"id": o.ID, "count": count, "total": total})
}

func servePublish(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	hubOf(r.URL.Query().Get("topic")).broadcast <- message{websocket.BinaryMessage, data}
	w.WriteHeader(http.StatusAccepted)
}

func main() {
	flag.Parse()
	http.HandleFunc("/", serve)
	http.HandleFunc("/order", serveOrder)
	http.HandleFunc("/publish", servePublish)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// A server must not outlive a runner that was killed: the runner holds the other end of our standard input.
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("listening %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}
