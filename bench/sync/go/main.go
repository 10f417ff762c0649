// The same work in Go, for comparison: nanoseconds for each operation, as JSON.
package main

import (
	"fmt"
	"sync"
	"time"
)

const count = 5_000_000

func measure(threads int, work func()) float64 {
	var group sync.WaitGroup
	began := time.Now()
	for i := 0; i < threads; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			work()
		}()
	}
	group.Wait()
	return float64(time.Since(began).Nanoseconds()) / float64(count*threads)
}

func main() {
	var mutex sync.Mutex
	total := 0
	locking := func() {
		for i := 0; i < count; i++ {
			mutex.Lock()
			total++
			mutex.Unlock()
		}
	}
	alone := measure(1, locking)
	contended := measure(2, locking)

	channel := make(chan [64]byte, 1024)
	var group sync.WaitGroup
	group.Add(1)
	began := time.Now()
	go func() {
		defer group.Done()
		for range channel {
		}
	}()
	var value [64]byte
	for i := 0; i < count; i++ {
		channel <- value
	}
	close(channel)
	group.Wait()
	perValue := float64(time.Since(began).Nanoseconds()) / count
	fmt.Printf("{\"mutex\": %.1f, \"contended\": %.1f, \"channel\": %.1f}\n", alone, contended, perValue)
}
